"""What chance makes of K: probes, sketches, moving averages, and their moments in closed form."""
