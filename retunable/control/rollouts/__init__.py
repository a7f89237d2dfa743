"""The controller of rollouts: a durable workflow for each that publishes, waits, judges and acts.

course      the workflow's body: no time, no I/O
following   from rows of the release store to the pure analysis
judging     what the evidence, the alarms and the rollout's state say to do now
controller  the activities: publish, judge, act
workflow    all of it as Dapr wants it
"""
