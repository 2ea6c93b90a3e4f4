"""Many scans: each case is the job folder of a single run, carried out by workers that keep their model."""
