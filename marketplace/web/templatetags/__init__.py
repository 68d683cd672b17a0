"""What the templates of the pages say in their own words."""
