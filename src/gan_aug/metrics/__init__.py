"""What is measured, one file a metric.

The metrics of generated images all have the signature of `gan_aug.metrics.sample.Metric`:
`metric(real, fake, context) -> {name: value}`; conf/metric has a file for each.
"""
