"""What the durable loop keeps in the state store: the seam, its Dapr adapter, its keys."""
