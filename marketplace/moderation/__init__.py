"""Reports of spam and harm, what staff decide about them, and what they hide."""
