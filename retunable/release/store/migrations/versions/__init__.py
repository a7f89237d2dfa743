"""One module and one SQL file for each database per step; a step that was released never changes."""
