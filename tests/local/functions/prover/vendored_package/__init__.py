raise ImportError("built for another Python")
