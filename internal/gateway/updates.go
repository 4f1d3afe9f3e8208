package gateway

import (
	"context"

	"catamaran/internal/api"
)

// Updates is what the desktop knows of newer versions of itself; *update.Updater is one.
type Updates interface {
	Get() api.Update
	Set(api.UpdateSet) (api.Update, error)
	Check(ctx context.Context) (api.Update, error)
	Fetch() (api.Update, error)
	Install(ctx context.Context) (api.Update, error)
}

func updateMethods(u Updates, methods map[string]method) {
	methods[api.MethodUpdateGet] = typed(func(context.Context, api.Empty) (api.Update, error) { return u.Get(), nil })
	methods[api.MethodUpdateSet] = typed(func(_ context.Context, r api.UpdateSet) (api.Update, error) { return u.Set(r) })
	methods[api.MethodUpdateCheck] = typed(func(ctx context.Context, _ api.Empty) (api.Update, error) { return u.Check(ctx) })
	methods[api.MethodUpdateFetch] = typed(func(context.Context, api.Empty) (api.Update, error) { return u.Fetch() })
	methods[api.MethodUpdateInstall] = typed(func(ctx context.Context, _ api.Empty) (api.Update, error) { return u.Install(ctx) })
}
