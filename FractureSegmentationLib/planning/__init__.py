"""Where fragments are to go: poses, what they mean in mm and degrees, overlaps, the other side."""
