"""Guardrails: checks on proposed tool calls and on answers, named and tuned by configuration.

``config.guardrails`` maps a check's name to its settings. A check scores 1 (safe) to 0; it
passes at or above ``config.guardrail_threshold``. Settings are data and never run: no regular
expression, no template, no code of a configuration is evaluated.
"""
