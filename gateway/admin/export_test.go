package admin

// Route is a row of the table of routes.
type Route struct {
	Method, Path string
	Role         Role
	About        string // gateway, one, some, any or nobody
	Action       string
	Answer       any
}

// Routes is the table.
func (s *Server) Routes() (list []Route) {
	names := [...]string{theGateway: "gateway", oneTenant: "one", someTenant: "some", anyTenant: "any", nobody: "nobody"}
	for _, r := range s.routes() {
		list = append(list, Route{r.method, r.path, r.role, names[r.about], r.action, r.answer})
	}
	return list
}
