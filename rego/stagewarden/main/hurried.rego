# Why one more person is asked
#
# Said beside the reasons of a hold, so that people see what the seat more is for; never a hold by itself.

package stagewarden.main

import data.stagewarden.reason
import data.stagewarden.seats

# METADATA
# title: Recent reviews of this workflow look hurried; one more person is asked
# description: The registry names the limits (`signals`), and the workflow what follows from them (`second_person`).
# custom:
#   code: threshold_crossed
#   owner: business
#   controls: [csf:DE.AE-02, airmf:MEASURE-2.8, asi:ASI09, aisvs:C9.2.2]
_threshold_crossed(detail) := _own(reason.with_detail(rego.metadata.rule(), detail))

hurried contains _threshold_crossed({"signals": sort(seats.signals)}) if count(seats.signals) > 0
