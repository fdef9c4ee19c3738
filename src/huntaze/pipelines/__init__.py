"""The domain, pure: values and files in, frozen values out. Imports nothing of ours but its own floor."""
