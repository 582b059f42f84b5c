"""What chance makes of K: probes, sketches, traces, averages, weights, their moments in closed form, and the paper's theorems."""
