"""``retune doctor``: what would keep a change from reaching the agent, each with its mend.

One module per subject, pure checks over facts; the ``…_facts`` modules fetch them.
"""
