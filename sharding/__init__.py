"""Task sets, prompt types, the sweep over all samples, and the plan that assigns samples to instances. Nothing here sends or waits."""
