"""Where networks come from: one file per origin, each with an `import_network` as `importer` defines it.

`registry` chooses among them by the name of the network. A new importer is one new file and one line in the registry.
"""
