"""The durable loop: workflow, activities, model, tools, and the agent that wires them."""
