// Package seed fills the forum's database with made-up communities, posts, comments and votes: for trying the platform out and for
// measuring it at its full size. The same options make the same data. Memory does not grow with comments or votes.
package seed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotEmpty says that the database already has posts, and that nothing was done.
var ErrNotEmpty = errors.New("there are posts already")

// Options say what to make.
type Options struct {
	Posts    int       // at least 100
	Comments int       // usually five a post
	Votes    int       // usually ten a post, on posts and comments
	Seed     uint64    // other numbers make other data
	Until    time.Time // the two years of the data end here
	Add      bool      // beside the posts that are there
	Progress *Progress // nil says nothing
}

// Size is the usual proportion of comments and votes to posts.
func Size(posts int) Options {
	return Options{Posts: posts, Comments: 5 * posts, Votes: 10 * posts, Seed: 1, Until: time.Now()}
}

// Run loads everything in one transaction, so that an interrupted run leaves nothing, and checks what it has made. The service has to
// wait meanwhile. The database must have its schema.
func Run(ctx context.Context, url string, o Options) error {
	if o.Posts < 100 || o.Comments < 0 || o.Votes < 0 {
		return fmt.Errorf("%d posts, %d comments and %d votes: at least 100 posts are needed", o.Posts, o.Comments, o.Votes)
	}
	if o.Progress == nil {
		o.Progress = &Progress{}
	}
	conn, err := connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return load(ctx, tx, o) }); err != nil {
		return err
	}
	o.Progress.step("vacuum and analyze")
	if _, err := conn.Exec(ctx, "VACUUM ANALYZE"); err != nil {
		return err
	}
	o.Progress.step("counting everything again")
	if err := Check(ctx, conn); err != nil {
		return err
	}
	o.Progress.end()
	return nil
}

func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("DATABASE_URL is no Postgres URL") // the cause quotes the password
	}
	for name, value := range map[string]string{
		"application_name": "forum-seed", "statement_timeout": "0", "idle_in_transaction_session_timeout": "0", "jit": "off",
		"maintenance_work_mem": "256MB", "work_mem": "64MB", "synchronous_commit": "off", "client_min_messages": "error",
	} {
		cfg.RuntimeParams[name] = value
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	status, err := conn.LoadType(ctx, "content_status")
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	conn.TypeMap().RegisterType(status)
	return conn, nil
}

func load(ctx context.Context, tx pgx.Tx, o Options) error {
	known, err := takeStock(ctx, tx)
	if err != nil {
		return err
	}
	if known.posts > 0 && !o.Add {
		return ErrNotEmpty
	}
	p := newPlan(o, known)
	o.Progress.begin(p.rows())
	restore, err := strip(ctx, tx)
	if err != nil {
		return err
	}
	for _, t := range p.tables() {
		o.Progress.table(t.name)
		rows := func() ([]any, error) {
			row := t.next()
			if row != nil {
				o.Progress.row()
			}
			return row, nil
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromFunc(rows)); err != nil {
			return fmt.Errorf("copy %s: %w", t.name, err)
		}
	}
	for _, s := range restore {
		o.Progress.step(s.about)
		if _, err := tx.Exec(ctx, s.sql); err != nil {
			return fmt.Errorf("%s: %w", s.about, err)
		}
	}
	return nil
}

// stock is what a database has before.
type stock struct {
	posts                int
	authors, communities map[string]bool // names
}

func takeStock(ctx context.Context, tx pgx.Tx) (stock, error) {
	s := stock{authors: map[string]bool{}, communities: map[string]bool{}}
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM posts").Scan(&s.posts); err != nil {
		return s, err
	}
	for sql, names := range map[string]map[string]bool{"SELECT name FROM authors": s.authors, "SELECT name FROM communities": s.communities} {
		rows, err := tx.Query(ctx, sql)
		if err != nil {
			return s, err
		}
		var name string
		if _, err := pgx.ForEachRow(rows, []any{&name}, func() error { names[name] = true; return nil }); err != nil {
			return s, err
		}
	}
	return s, nil
}
