"""What could be used instead: rules without training, and networks trained on the same scans without any words."""
