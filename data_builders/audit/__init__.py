"""Labels judged by people: a page to judge a sample of them, and how many were agreed with."""
