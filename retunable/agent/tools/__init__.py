"""Tools: functions that a model may call, their arguments, their limits and their threads."""
