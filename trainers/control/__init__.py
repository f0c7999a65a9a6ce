"""Agents that learn by reinforcement: environments as tensor functions, and PPO over all cells of a tile."""
