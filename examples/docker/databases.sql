-- Run once, by PostgreSQL's image, when its volume is empty.
CREATE DATABASE switchback;
CREATE DATABASE globalrx;
