-- +goose Up

CREATE TYPE content_status AS ENUM ('published', 'hidden', 'deleted');
CREATE TYPE flag_reason AS ENUM ('spam', 'abuse', 'dangerous_advice', 'personal_data', 'other');
CREATE TYPE review_decision AS ENUM ('keep', 'hide');
CREATE TYPE moderation_action AS ENUM ('hide', 'restore', 'lock', 'unlock', 'keep', 'suspend', 'release');

-- An author is a user under a pseudonym: id is a keyed hash of the subject, and the key is not in this database.
CREATE TABLE authors (
    id              uuid PRIMARY KEY,
    name            text NOT NULL CONSTRAINT authors_name_key UNIQUE,
    is_doctor       boolean NOT NULL,
    sealed_subject  bytea, -- encrypted under a key that is not here; only while the author wants mail
    suspended_until timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now()
);

-- A token bucket for each kind of write.
CREATE TABLE allowances (
    author_id   uuid NOT NULL CONSTRAINT allowances_author_fkey REFERENCES authors,
    kind        text NOT NULL,
    tokens      double precision NOT NULL,
    refilled_at timestamptz NOT NULL,
    PRIMARY KEY (author_id, kind)
);

CREATE TABLE communities (
    id          uuid PRIMARY KEY DEFAULT uuidv7(),
    name        text NOT NULL CONSTRAINT communities_name_key UNIQUE, -- lower case, by contract
    title       text NOT NULL,
    description text NOT NULL,
    creator_id  uuid NOT NULL CONSTRAINT communities_creator_fkey REFERENCES authors,
    posts       integer NOT NULL DEFAULT 0, -- published ones
    members     integer NOT NULL DEFAULT 0,
    version     integer NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT communities_counts_check CHECK (posts >= 0 AND members >= 0)
);
CREATE INDEX communities_members_idx ON communities (members DESC, id DESC);

CREATE TABLE follows (
    author_id    uuid NOT NULL CONSTRAINT follows_author_fkey REFERENCES authors,
    community_id uuid NOT NULL CONSTRAINT follows_community_fkey REFERENCES communities ON DELETE CASCADE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (author_id, community_id)
);
CREATE INDEX follows_community_idx ON follows (community_id);

-- The week of a time, counted from 1970 on. The search goes back week by week: to find the newest texts with a word that everyone uses
-- it must not fetch all that have it. Week and community are words to it, such as no text has: those are in lower case.
CREATE FUNCTION week(at timestamptz) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN floor(extract(epoch FROM at AT TIME ZONE 'UTC') / 604800);

CREATE TABLE posts (
    id           uuid PRIMARY KEY DEFAULT uuidv7(),
    community_id uuid NOT NULL CONSTRAINT posts_community_fkey REFERENCES communities,
    author_id    uuid CONSTRAINT posts_author_fkey REFERENCES authors,
    title        text NOT NULL,
    body         text NOT NULL,
    url          text,
    status       content_status NOT NULL DEFAULT 'published',
    locked       boolean NOT NULL DEFAULT false,
    version      integer NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    edited_at    timestamptz,
    search       tsvector NOT NULL GENERATED ALWAYS AS
        (setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', body), 'B')
            || array_to_tsvector(ARRAY['W' || week(created_at)::text, 'C' || community_id::text])) STORED,
    CONSTRAINT posts_deleted_check CHECK ((status = 'deleted') = (author_id IS NULL)) -- a deleted one is nobody's
);
CREATE INDEX posts_community_idx ON posts (community_id);
CREATE INDEX posts_author_idx ON posts (author_id, id DESC);
CREATE INDEX posts_search_idx ON posts USING gin (search) WHERE status = 'published';

-- The lower end of the 80 % Wilson score interval of a share of n votes, 0 to 1 (E. B. Wilson, "Probable inference", JASA 22, 1927).
CREATE FUNCTION wilson(votes integer, n integer) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN n = 0 THEN 0 ELSE
        (votes::float8 / n + z * z / (2 * n) - z * sqrt((votes::float8 / n * (1 - votes::float8 / n) + z * z / (4 * n)) / n)) / (1 + z * z / n)
    END
    FROM (VALUES (1.2815515655446004::float8)) AS quantile(z)
$$;

-- What votes and comments change, apart from the text, so that a vote moves 100 bytes and no search index. Every order of a feed
-- is an index: hot is the published ranking of Reddit's source (2008), in which twelve and a half hours weigh as much as tenfold votes.
CREATE TABLE post_scores (
    post_id      uuid PRIMARY KEY CONSTRAINT post_scores_post_fkey REFERENCES posts,
    community_id uuid NOT NULL,
    created_at   timestamptz NOT NULL,
    listed       boolean NOT NULL DEFAULT true, -- the post is published
    up           integer NOT NULL DEFAULT 0,
    down         integer NOT NULL DEFAULT 0,
    comments     integer NOT NULL DEFAULT 0, -- published ones
    score        integer NOT NULL GENERATED ALWAYS AS (up - down) STORED,
    day          date NOT NULL GENERATED ALWAYS AS ((created_at AT TIME ZONE 'UTC')::date) STORED,
    hot          double precision NOT NULL GENERATED ALWAYS AS
        (sign(up - down) * log(greatest(abs(up - down), 1)) + extract(epoch FROM created_at AT TIME ZONE 'UTC') / 45000) STORED,
    CONSTRAINT post_scores_counts_check CHECK (up >= 0 AND down >= 0 AND comments >= 0)
);
CREATE INDEX post_scores_new_idx ON post_scores (community_id, post_id DESC) WHERE listed;
CREATE INDEX post_scores_hot_idx ON post_scores (community_id, hot DESC, post_id DESC) WHERE listed;
CREATE INDEX post_scores_top_idx ON post_scores (community_id, score DESC, post_id DESC) WHERE listed;
CREATE INDEX post_scores_day_idx ON post_scores (community_id, day, score DESC, post_id DESC) WHERE listed;

CREATE TABLE comments (
    id           uuid PRIMARY KEY DEFAULT uuidv7(),
    post_id      uuid NOT NULL CONSTRAINT comments_post_fkey REFERENCES posts,
    community_id uuid NOT NULL, -- of the post, for the search
    parent_id    uuid CONSTRAINT comments_parent_fkey REFERENCES comments,
    depth        integer NOT NULL, -- 0 answers the post
    author_id    uuid CONSTRAINT comments_author_fkey REFERENCES authors,
    body         text NOT NULL,
    status       content_status NOT NULL DEFAULT 'published',
    version      integer NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    edited_at    timestamptz,
    search       tsvector NOT NULL GENERATED ALWAYS AS
        (to_tsvector('english', body) || array_to_tsvector(ARRAY['W' || week(created_at)::text, 'C' || community_id::text])) STORED,
    CONSTRAINT comments_depth_check CHECK ((parent_id IS NULL) = (depth = 0)),
    CONSTRAINT comments_deleted_check CHECK ((status = 'deleted') = (author_id IS NULL))
);
CREATE INDEX comments_author_idx ON comments (author_id, id DESC);
CREATE INDEX comments_search_idx ON comments USING gin (search) WHERE status = 'published';

-- best is the lower end of the interval for the share of up-votes, and below 0 once more people voted down than up.
CREATE TABLE comment_scores (
    comment_id uuid PRIMARY KEY CONSTRAINT comment_scores_comment_fkey REFERENCES comments,
    branch_id  uuid NOT NULL, -- what it answers: a comment or the post
    up         integer NOT NULL DEFAULT 0,
    down       integer NOT NULL DEFAULT 0,
    replies    integer NOT NULL DEFAULT 0, -- direct ones, whatever became of them
    score      integer NOT NULL GENERATED ALWAYS AS (up - down) STORED,
    best       double precision NOT NULL GENERATED ALWAYS AS
        (CASE WHEN up >= down THEN wilson(up, up + down) ELSE -wilson(down, up + down) END) STORED,
    CONSTRAINT comment_scores_counts_check CHECK (up >= 0 AND down >= 0 AND replies >= 0)
);
CREATE INDEX comment_scores_best_idx ON comment_scores (branch_id, best DESC, comment_id DESC);
CREATE INDEX comment_scores_new_idx ON comment_scores (branch_id, comment_id DESC);

-- previous is what value was before: with it the statement that changes a vote knows by how much.
CREATE TABLE post_votes (
    post_id   uuid NOT NULL CONSTRAINT post_votes_post_fkey REFERENCES posts,
    author_id uuid NOT NULL CONSTRAINT post_votes_author_fkey REFERENCES authors,
    value     smallint NOT NULL,
    previous  smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (post_id, author_id),
    CONSTRAINT post_votes_value_check CHECK (value IN (-1, 1))
);
CREATE TABLE comment_votes (
    comment_id uuid NOT NULL CONSTRAINT comment_votes_comment_fkey REFERENCES comments,
    author_id  uuid NOT NULL CONSTRAINT comment_votes_author_fkey REFERENCES authors,
    value      smallint NOT NULL,
    previous   smallint NOT NULL DEFAULT 0,
    PRIMARY KEY (comment_id, author_id),
    CONSTRAINT comment_votes_value_check CHECK (value IN (-1, 1))
);

-- A review is open from the first flag until a moderator decides.
CREATE TABLE reviews (
    id          uuid PRIMARY KEY DEFAULT uuidv7(),
    post_id     uuid CONSTRAINT reviews_post_fkey REFERENCES posts,
    comment_id  uuid CONSTRAINT reviews_comment_fkey REFERENCES comments,
    flags       integer NOT NULL DEFAULT 0,
    decision    review_decision,
    decided_at  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reviews_content_check CHECK (num_nonnulls(post_id, comment_id) = 1),
    CONSTRAINT reviews_decision_check CHECK ((decision IS NULL) = (decided_at IS NULL))
);
CREATE UNIQUE INDEX reviews_open_key ON reviews (COALESCE(post_id, comment_id)) WHERE decided_at IS NULL;
CREATE INDEX reviews_open_idx ON reviews (id) WHERE decided_at IS NULL;

CREATE TABLE flags (
    review_id  uuid NOT NULL CONSTRAINT flags_review_fkey REFERENCES reviews,
    content_id uuid NOT NULL, -- the post or comment
    author_id  uuid NOT NULL CONSTRAINT flags_author_fkey REFERENCES authors,
    reason     flag_reason NOT NULL,
    note       text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT flags_pkey PRIMARY KEY (content_id, author_id)
);
CREATE INDEX flags_review_idx ON flags (review_id);

-- What moderators did, and what flags did by their number: then moderator_id is null.
CREATE TABLE moderation_acts (
    id           uuid PRIMARY KEY DEFAULT uuidv7(),
    moderator_id uuid CONSTRAINT moderation_acts_moderator_fkey REFERENCES authors,
    action       moderation_action NOT NULL,
    post_id      uuid CONSTRAINT moderation_acts_post_fkey REFERENCES posts,
    comment_id   uuid CONSTRAINT moderation_acts_comment_fkey REFERENCES comments,
    author_id    uuid CONSTRAINT moderation_acts_author_fkey REFERENCES authors,
    reason       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT moderation_acts_target_check CHECK (num_nonnulls(post_id, comment_id, author_id) = 1)
);
CREATE INDEX moderation_acts_post_idx ON moderation_acts (post_id, id) WHERE post_id IS NOT NULL;
CREATE INDEX moderation_acts_kept_idx ON moderation_acts (COALESCE(post_id, comment_id)) WHERE action IN ('keep', 'restore');

-- +goose StatementBegin
CREATE FUNCTION moderation_acts_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the record of moderation is only added to';
END
$$;
-- +goose StatementEnd
CREATE TRIGGER moderation_acts_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON moderation_acts
FOR EACH STATEMENT EXECUTE FUNCTION moderation_acts_stay();

-- A post as a feed shows it.
CREATE VIEW post_summaries AS
SELECT posts.id, posts.community_id, communities.name AS community_name, posts.author_id, authors.name AS author_name,
    COALESCE(authors.is_doctor, false) AS is_doctor, posts.title, left(posts.body, 300) AS excerpt, posts.url, posts.status, posts.locked,
    posts.version, posts.created_at, posts.edited_at, post_scores.up, post_scores.down, post_scores.score, post_scores.comments
FROM posts
JOIN post_scores ON post_scores.post_id = posts.id
JOIN communities ON communities.id = posts.community_id
LEFT JOIN authors ON authors.id = posts.author_id;

CREATE VIEW comment_details AS
SELECT comments.id, comments.post_id, comments.parent_id, comments.depth, comments.author_id, authors.name AS author_name,
    COALESCE(authors.is_doctor, false) AS is_doctor, comments.body, comments.status, comments.version, comments.created_at, comments.edited_at,
    comment_scores.up, comment_scores.down, comment_scores.score, comment_scores.replies
FROM comments
JOIN comment_scores ON comment_scores.comment_id = comments.id
LEFT JOIN authors ON authors.id = comments.author_id;

-- +goose Down
DROP VIEW comment_details, post_summaries;
DROP TABLE moderation_acts, flags, reviews, comment_votes, post_votes, comment_scores, comments, post_scores, posts, follows, communities, allowances, authors;
DROP FUNCTION moderation_acts_stay, wilson, week;
DROP TYPE moderation_action, review_decision, flag_reason, content_status;
