package store

import (
	"context"
	"encoding/json"
	"fmt"

	"catamaran/internal/api"
)

// Mark is a turn with the checkpoints around it, "" where there are none.
type Mark struct {
	Turn          api.Turn
	Before, After string
}

// Marks returns a thread's turns with their checkpoints, oldest first.
func (s *Store) Marks(ctx context.Context, threadID string) ([]Mark, error) {
	rows, err := s.reader.QueryContext(ctx, "SELECT data, before_ref, after_ref FROM turns WHERE thread = ? ORDER BY ordinal", threadID)
	if err != nil {
		return nil, fmt.Errorf("store: read turns: %w", err)
	}
	defer rows.Close()
	var list []Mark
	for rows.Next() {
		var m Mark
		var data []byte
		if err := rows.Scan(&data, &m.Before, &m.After); err != nil {
			return nil, fmt.Errorf("store: read turns: %w", err)
		}
		if err := json.Unmarshal(data, &m.Turn); err != nil {
			return nil, fmt.Errorf("store: read turns: %w", err)
		}
		list = append(list, m)
	}
	return list, rows.Err()
}
