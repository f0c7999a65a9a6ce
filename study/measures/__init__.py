"""Numbers with intervals: from stored cells to landscapes, regions and measures."""
