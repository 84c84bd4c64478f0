SELECT unnest(ARRAY['approved', 'confirmed', 'continued', 'succeeded', 'denied', 'failed', 'other'])
