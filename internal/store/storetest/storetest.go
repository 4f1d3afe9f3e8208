// Package storetest makes a database misbehave for tests of packages above
// store. Only tests import it.
package storetest

import (
	"context"
	"database/sql"
	"net/url"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver
)

// Block keeps every writer of the database in dir waiting, until release is called.
func Block(ctx context.Context, dir string) (release func() error, err error) {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(dir, "catamaran.db")),
		RawQuery: "_busy_timeout=10000"}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		db.Close()
		return nil, err
	}
	return db.Close, nil
}
