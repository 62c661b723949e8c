"""The tasks of this package; the host finds them by this folder's YAML files."""
