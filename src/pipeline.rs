//! Joins the stages: queues, threads, drain.
