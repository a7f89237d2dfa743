"""The release store: versions, deployments, approvals, policies and their audit, append-only.

    with open_release_store(url) as store:
        with store.transaction(claimed="maria") as work:
            outcome = versions.save(work, Draft(agent="support", config=config, reason="shorter"))

PostgreSQL or SQLite behind one interface. ``database`` has connections and transactions, the nouns
(``versions``, ``deployments``, ``approvals``, ``policies``, ``audit``) are functions of a transaction,
``records`` are what they give back. What is published to agents, and how, is decided elsewhere.
"""
