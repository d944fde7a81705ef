"""What is known of the conversation, sent somewhere: spans, log lines."""
