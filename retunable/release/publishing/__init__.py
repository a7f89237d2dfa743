"""Publication: what the release store says is active, in the configuration store, exactly once.

    plane = ControlPlane(store=store, publisher=publisher)
    site = Site(agent="support", environment="production")
    outcome = activate(plane, site, Wish(version=4, reason="shorter answers"))

``activation`` has the operations, ``settling`` ends what another process began, ``state`` compares
what is active with what is published, ``envelopes`` makes the text. All expected outcomes are values.
"""
