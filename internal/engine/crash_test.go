package engine

func backendMain() {}
