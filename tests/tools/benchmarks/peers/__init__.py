"""What a user would pick instead: the same cells trained by other tools, each as a command of its own."""
