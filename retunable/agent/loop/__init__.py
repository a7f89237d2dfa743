"""The durable loop: the workflow, its activities, and the decisions made inside them."""
