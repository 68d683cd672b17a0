"""What came back: deliveries, their verification, and acceptance."""
