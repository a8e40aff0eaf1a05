"""What a new machine fetches from the hub: script, wheels, unit, where to call."""
