"""What a user touches: engines, stores, modules, linkers, instances and what these export. Public names are
``vibewasm.X``.
"""
