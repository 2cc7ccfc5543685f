"""Single faults, planted into our own clean templates: the gate names each, at the right resource."""
