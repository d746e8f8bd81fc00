"""Functions of physics objects: selections, matching, kinematics, corrections."""
