package api

// Methods of agents' settings; see call.go for the others.
const (
	MethodInstanceList   = "agent.instance.list"   // Empty -> AgentInstances
	MethodInstanceSave   = "agent.instance.save"   // AgentInstanceSave -> AgentInstance
	MethodInstanceRemove = "agent.instance.remove" // AgentInstanceRef -> Empty
)

// AgentInstance is how one agent is started: a known one with settings of its own
// (its id is the known agent's), one more of a known agent, or another program that
// speaks ACP.
type AgentInstance struct {
	// ID is "" for one that is not saved yet.
	ID string `json:"id,omitempty"`
	// Base is the known agent it is one of; "" is a program that speaks ACP.
	Base string `json:"base,omitempty"`
	Name string `json:"name,omitempty"` // "": the known agent's
	// Path is the program: absolute, "~/"-relative, or a name to look up; "" looks the known one up.
	Path string `json:"path,omitempty"`
	// Args follow those that start the agent's protocol.
	Args []string `json:"args,omitempty"`
	// Env is added to the environment's; Without names variables that the agent is not given,
	// also forwarded ones.
	Env     []AgentVariable `json:"env,omitempty"`
	Without []string        `json:"without,omitempty"`
	// Disabled leaves the agent out of lists.
	Disabled bool `json:"disabled,omitempty"`
}

// AgentVariable is a variable of an agent's environment. A secret's value is never told:
// Set says that there is one, and saving it without a value keeps that.
type AgentVariable struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
	Secret bool   `json:"secret,omitempty"`
	Set    bool   `json:"set,omitempty"`
}

// AgentInstances are those that were saved.
type AgentInstances struct {
	Instances []AgentInstance `json:"instances"`
}

// AgentInstanceSave makes or changes an instance.
type AgentInstanceSave struct {
	Instance AgentInstance `json:"instance"`
}

type AgentInstanceRef struct {
	ID string `json:"id"`
}
