package healthe

import (
	"errors"
	"iter"
)

// errNoBody is returned where a server answers a success without what its contract promises.
var errNoBody = errors.New("healthe: the server's answer is not the one that its contract names")

// OK takes the body out of an answer of a generated client:
//
//	me, err := healthe.OK(client.Auth.GetMeWithResponse(ctx))
func OK[T any, R interface{ GetJSON200() *T }](resp R, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return body(resp.GetJSON200())
}

// Created does the same for operations that make something and answer 201.
func Created[T any, R interface{ GetJSON201() *T }](resp R, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return body(resp.GetJSON201())
}

// Accepted does the same for operations that go on after they answered, with 202.
func Accepted[T any, R interface{ GetJSON202() *T }](resp R, err error) (*T, error) {
	if err != nil {
		return nil, err
	}
	return body(resp.GetJSON202())
}

func body[T any](v *T) (*T, error) {
	if v == nil {
		return nil, errNoBody
	}
	return v, nil
}

// Done is for operations that answer with nothing.
func Done[R any](_ R, err error) error { return err }

// All walks through a list, page after page, fetching each when it is needed:
//
//	for a, err := range healthe.All(func(cursor *string) ([]appointment.Appointment, *string, error) {
//		page, err := healthe.OK(client.Appointment.ListAppointmentsWithResponse(ctx, &appointment.ListAppointmentsParams{Cursor: cursor}))
//		if err != nil {
//			return nil, nil, err
//		}
//		return page.Items, page.NextCursor, nil
//	}) {
//
// After an error there is nothing more.
func All[T any](fetch func(cursor *string) (items []T, next *string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for cursor := (*string)(nil); ; {
			items, next, err := fetch(cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == nil {
				return
			}
			cursor = next
		}
	}
}
