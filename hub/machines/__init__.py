"""The machines themselves: registry and presence."""
