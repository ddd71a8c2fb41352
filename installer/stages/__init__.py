"""Operations as graphs of stages: their order, their progress, their journal."""
