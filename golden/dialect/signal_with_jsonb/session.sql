SELECT df.signal(instance_id => :'id', signal_name => 'go', signal_data => jsonb_build_array(1, 'two', NULL)::text);
