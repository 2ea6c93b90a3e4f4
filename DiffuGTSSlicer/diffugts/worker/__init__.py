"""The background process: jobs one after another, the model and the last scans kept between them."""
