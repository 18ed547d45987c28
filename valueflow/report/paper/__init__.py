"""The figures of the paper: each as PNG, SVG, and the table that it shows."""

from valueflow.report.paper.figures import FIGURES_FOLDER, PaperFigure, paper_figures

__all__ = ["FIGURES_FOLDER", "PaperFigure", "paper_figures"]
