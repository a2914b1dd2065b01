-- name: CreateIdentityExchange :exec
INSERT INTO identity_exchanges (actor, user_id, client_id, operation_id, operation, scopes, outcome)
VALUES (@actor, sqlc.narg('user_id'), sqlc.narg('client_id'), @operation_id, @operation, @scopes, @outcome);
