"""git as the source of truth: folders of config files become versions, and drift is told.

``working_tree`` reads a folder and its commits, ``plan`` compares them with what is saved, active and
published, and saves what is new. Nothing is written where one file is broken.
"""
