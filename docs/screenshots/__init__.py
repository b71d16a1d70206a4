"""The pictures of the documents, and the script that makes them."""
