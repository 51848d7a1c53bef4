# What a contact costs by the size of the call: dir/bulk.dat and its labels to dir/bulk.svg.
set terminal svg size 800,440 font 'sans-serif,14' background 'white'
set output dir.'/bulk.svg'
set title 'What a contact costs where many are blocked in one call'
set xlabel 'contacts in the call'
set ylabel 'µs a contact (less is better)'
set logscale xy
set format x '10^{%L}'
set grid linecolor 'gray90'
set border 3
set tics nomirror
set key off
stats dir.'/bulk.dat' using 1 nooutput
set xrange [1:STATS_max]
set rmargin 27
set pointsize 0.6
file = dir.'/bulk.dat'
plot file using 1:2 with linespoints linewidth 2 pointtype 7 linecolor rgb 0x777777, \
     file using 1:4 with linespoints linewidth 2 pointtype 7 linecolor rgb 0xc05000, \
     file using 1:5 with linespoints linewidth 2 pointtype 7 linecolor rgb 0x9a7fb8, \
     file using 1:3 with linespoints linewidth 3 pointtype 7 linecolor rgb 0x1f4e9c, \
     file using 1:6 with linespoints linewidth 2 dashtype 2 pointtype 6 linecolor rgb 0x1f4e9c, \
     dir.'/bulk_labels.dat' using 1:2:3:4 with labels left offset 1,0 noenhanced textcolor rgb variable
